package registry

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"redflag/internal/parts"
)

// BenchmarkResolveSixty holds what 60 tags cost, with everything that keeps the answers right, to a bare loop of the same HEADs
// at the same real registry: x-bare is our time divided by the loop's.
func BenchmarkResolveSixty(b *testing.B) {
	host := parts.Registry(b)
	l := &lab{host: host}
	refs, digests := sixty(b, l)
	var ours, bare time.Duration
	for b.Loop() {
		began := time.Now()
		c := New(Config{CacheDir: b.TempDir()})
		checkAll(b, c.ResolveAll(b.Context(), refs), digests)
		c.Close()
		ours += time.Since(began)

		began = time.Now()
		wire := &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
		var wg sync.WaitGroup
		for _, ref := range refs {
			wg.Go(func() { bareHead(b, wire, "http://"+host+"/v2/"+ref.Name()[len(host)+1:]+"/manifests/"+ref.Tag()) })
		}
		wg.Wait()
		wire.CloseIdleConnections()
		bare += time.Since(began)
	}
	b.ReportMetric(float64(ours)/float64(bare), "x-bare")
}

func bareHead(b *testing.B, c *http.Client, url string) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodHead, url, nil)
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Accept", acceptManifests)
	resp, err := c.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Errorf("%s: %s", url, resp.Status)
	}
}
