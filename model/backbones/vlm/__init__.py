"""Any vision-language model that transformers knows, as a backbone."""
