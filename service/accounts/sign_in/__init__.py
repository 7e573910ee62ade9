"""Single sign-on: whom a provider of OpenID Connect has signed in, and whose account that is."""
