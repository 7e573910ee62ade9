"""WHAT is said and WHEN: campaigns, their states, their approval, and the moment they fire."""
