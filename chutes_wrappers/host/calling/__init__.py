"""One call of a deployed chute: its body, its target, the call itself and what a refusal means."""
