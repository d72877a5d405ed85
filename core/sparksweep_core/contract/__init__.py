"""The contract between programs: what operator, driver, viewer and SDK must agree on, each thing once."""
