"""The embedded sample: invented films, posters that this package draws, and a site that serves them.

Other packages use one function of it: `sample.site.serving`.
"""
