"""ISAKMP and IPsec DOI bytes to frozen values and back."""
