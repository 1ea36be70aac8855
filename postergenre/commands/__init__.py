"""The commands of `postergenre`: a module a group of them. Each imports what it needs when it runs."""
