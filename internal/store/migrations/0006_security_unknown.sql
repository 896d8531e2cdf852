-- Why it is not known which of a source's updates are for security; empty where it is.
ALTER TABLE findings ADD COLUMN security_unknown TEXT NOT NULL DEFAULT '';
