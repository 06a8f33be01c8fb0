"""The developer's machine: engine, inspection, discovery."""
