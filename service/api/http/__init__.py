"""An operation over HTTP: read, admitted, answered, written down."""
