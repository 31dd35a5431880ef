"""What findings say in a product's own words: what an open transaction does there, and the statements to paste.

One file a product, each with

    quote   a name as the product's SQL has it
    TEXTS   key -> text; `{names}` in it are quoted and filled in

so that no rule knows a product. A key that a product does not have has no remedy there.
"""

from __future__ import annotations

import importlib

from dbdoctor.model.target import Product


def remedy(product: Product, key: str, **names: str | None) -> str | None:
    """The product's text for `key`, with the names in it quoted; None where the product has none. Unknown names are `<...>`."""
    module = importlib.import_module(f"{__name__}.{product.name.lower()}")
    text: str | None = module.TEXTS.get(key)
    if text is None:
        return None
    return text.format(**{name: module.quote(value) if value else f"<{name}>" for name, value in names.items()})
