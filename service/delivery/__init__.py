"""What came back: receipts into the inbox and from there into the ledger, texts from handsets."""
