"""A LiteLLM proxy: its models, and the requests, tokens and money that go through it."""
