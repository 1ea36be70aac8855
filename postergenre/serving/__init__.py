"""The page and the API: genres for pictures over HTTP. FastAPI is imported here only."""
