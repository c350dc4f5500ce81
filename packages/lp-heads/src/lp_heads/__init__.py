"""Heads with their target generators and predictors. Parts are found by name through `lp_core`; torch loads with them."""
