"""The HTML report: one file that needs nothing beside itself. One module a section; `page.page` puts them together."""
