"""Plays Ruuvi Gateways and the sensors round them, as the real firmware behaves. No Django here."""
