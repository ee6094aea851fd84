"""Any vision-language model that transformers supports, as a backbone."""
