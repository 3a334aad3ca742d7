"""Real systems on loopback for the demo, the tests and the benches: see rig/README.md."""
