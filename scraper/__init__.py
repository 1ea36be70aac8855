"""The Scrapy project: it plans a crawl, runs the `posters` spider, and writes tar shards and their manifest."""
