"""The exporter of `dbdoctor serve`: a fleet of targets judged without end, and their state as Prometheus metrics over HTTP.

`target_watch` judges one target in a thread of its own, `fleet` runs all of them, `metrics` says what is shown of a
target, `page` keeps it ready as text, `web` hands that out.
"""
