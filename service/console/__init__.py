"""The console: pages for people, made from the operations of the API in the same process."""
