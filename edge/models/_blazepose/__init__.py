"""Parts of the blazepose family: crops, decoding and the decisions of the cascade."""
