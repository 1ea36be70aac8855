"""The Scrapy project: the `posters` spider, its settings, and the sample site it crawls by default."""
