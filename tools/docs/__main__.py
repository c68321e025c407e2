"""Write the generated documents; `make docs` runs it."""

from docs.pages import DOCUMENTS
from docs.schemas import ROOT

for path, make_document in DOCUMENTS.items():
    (ROOT / path).write_text(make_document())
