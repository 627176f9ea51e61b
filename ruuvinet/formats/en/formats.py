"""Times in the console: sortable, short, and the same for everybody; in UTC."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
