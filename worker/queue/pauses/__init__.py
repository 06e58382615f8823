"""Pauses of lanes and of sources: set and ended by operators and by the circuit breaker."""
