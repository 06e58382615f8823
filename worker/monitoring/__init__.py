"""The state of the system: status snapshot, health, alarms, rates, server checks, the metrics exporter.

Begin with `snapshot.py`.
"""
