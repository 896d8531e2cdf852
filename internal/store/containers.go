package store

import (
	"context"
	"encoding/json"

	"redflag/internal/fleet"
)

// containers replaces a host's containers.
func (w *saving) containers(ctx context.Context, list []fleet.Container) error {
	if _, err := w.c.exec(ctx, `DELETE FROM containers WHERE host_id = $1`, w.id); err != nil {
		return err
	}
	var all rows
	for _, x := range list {
		body, err := json.Marshal(x)
		if err != nil {
			return err
		}
		all.add(w.id, x.Source, x.Name, x.Image, string(body))
	}
	if err := all.write(ctx, w.c, `INSERT INTO containers (host_id, source, name, image, body)`, "ON CONFLICT DO NOTHING"); err != nil {
		return err
	}
	_, err := w.c.exec(ctx, `UPDATE hosts SET containers = $1 WHERE id = $2`, len(list), w.id)
	return err
}
