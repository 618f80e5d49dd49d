"""The updates of each kind of optimizer in NumPy float64, written from the papers; one module per kind."""

from ...core.specs.records import records
from .reference import ReferenceRecord

REFERENCES = records(__name__, __path__, ReferenceRecord)
