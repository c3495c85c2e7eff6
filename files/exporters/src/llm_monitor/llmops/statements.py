"""The statements that the event store in PostgreSQL is asked by.

Tables and columns: files/llmops/src/llmops_monitoring/storage/migrations. `:since` and `:until` let
PostgreSQL read the partitions of those days alone, and of them, by an index, those pages alone. No
statement gives more rows than it says here, whatever applications call their operations and models.
"""

from sqlalchemy import TextClause, text
from sqlalchemy.sql import quoted_name
