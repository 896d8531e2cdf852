-- What a source has to say beside its updates: a JSON array of sentences; empty for nothing.
ALTER TABLE findings ADD COLUMN notes TEXT NOT NULL DEFAULT '';
