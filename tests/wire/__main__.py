"""Record the schemas."""

import json

from . import SCHEMAS, current

SCHEMAS.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n")
