"""The driver: starts Spark, hands trials to slots, and keeps the ledger of their statuses."""
