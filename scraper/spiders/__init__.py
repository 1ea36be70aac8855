"""Scrapy finds its spiders here."""
