"""The gate as a stock kumod knows it: what its TSA daemon would answer, and what its log hooks post."""
