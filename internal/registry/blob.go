package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"redflag/internal/fleet"
)

// layerPatience is for one blob that is written to a file: a layer of 1 GiB over 5 Mbit/s.
const layerPatience = 30 * time.Minute

func (q question) patience(c *Client) time.Duration {
	if q.into != nil {
		return max(layerPatience, c.patience)
	}
	return c.patience
}

// read takes an answer's body, to where the question wants it.
func (q question) read(resp *http.Response) ([]byte, error) {
	if q.into == nil {
		return readBody(resp.Body, q.limit)
	}
	if resp.StatusCode != http.StatusOK {
		return readBody(resp.Body, maxManifest)
	}
	err := q.write(resp.Body)
	var ours *fs.PathError
	if errors.As(err, &ours) { // a network's errors are others
		err = unknown(err, "see that there is room in "+filepath.Dir(q.into.Name()), "what was downloaded cannot be written: %v", err)
	}
	return nil, err
}

// write puts a body into the file. It may be the second try.
func (q question) write(body io.Reader) error {
	if _, err := q.into.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := q.into.Truncate(0); err != nil {
		return err
	}
	n, err := io.Copy(q.into, io.LimitReader(body, q.limit+1))
	if err == nil && n > q.limit {
		err = errTooLong{q.limit}
	}
	return err
}

// Blob writes a blob of an image to a file, from its beginning, and verifies it. It takes no more than limit bytes, and is not kept. A blob does not count
// as a pull.
func (c *Client) Blob(ctx context.Context, name reference.Named, d fleet.Digest, limit int64, into *os.File) error {
	if _, ok := validDigest(string(d)); !ok {
		return badAnswer(registryOf(name), "%q names no content", fleet.Plain(string(d)))
	}
	q := blobs(name, d, limit)
	q.into = into
	_, err := eachEndpoint(c, name, func(h *host) (struct{}, error) { return struct{}{}, c.download(ctx, h, d, q) })
	return err
}

func (c *Client) download(ctx context.Context, h *host, d fleet.Digest, q question) error {
	r, err := c.ask(ctx, h, q)
	if tooLong := (errTooLong{}); errors.As(err, &tooLong) {
		return badAnswer(h.name, "%v", tooLong)
	}
	if err != nil {
		return err
	}
	if err := c.status(h, r); err != nil {
		return err
	}
	if _, err := q.into.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read what was downloaded: %w", err)
	}
	verifier := digest.Digest(d).Verifier()
	if _, err := io.Copy(verifier, q.into); err != nil {
		return fmt.Errorf("read what was downloaded: %w", err)
	}
	if !verifier.Verified() {
		return badAnswer(h.name, "its content is not what the digest %s names", d)
	}
	_, err = q.into.Seek(0, io.SeekStart)
	return err
}
