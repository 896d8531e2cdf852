package docker

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/registry"
)

// BenchmarkScan compares a scan of 60 containers, of which nothing has changed, with a bare loop that asks the same things: two lists of
// the engine, 60 HEADs on 8 connections. x-bare is the ratio of the two, measured in turns. Without a
// cache it is this package's own cost; the first scan of a host makes the cache's folders as well; those after it, whose answers have
// all become too old, have them.
func BenchmarkScan(b *testing.B) {
	host, refs := sixtyContainers(b, parts.Registry(b), "latest")
	b.Run("uncached", func(b *testing.B) { benchmarkScan(b, host, refs, func() string { return "" }) })
	b.Run("first", func(b *testing.B) { benchmarkScan(b, host, refs, b.TempDir) })
	b.Run("again", func(b *testing.B) {
		dir := b.TempDir()
		scanOnce(b, host, dir, time.Now())
		benchmarkScan(b, host, refs, func() string { return dir })
	})
}

func benchmarkScan(b *testing.B, host string, refs []string, cacheDir func() string) {
	b.Helper()
	var scans, bare time.Duration
	now := time.Now()
	for b.Loop() {
		now = now.Add(2 * registry.DefaultTagLifetime)
		scans += scanOnce(b, host, cacheDir(), now)
		began := time.Now()
		bareLoop(b, host, refs)
		bare += time.Since(began)
	}
	b.ReportMetric(float64(scans)/float64(bare), "x-bare")
	b.ReportMetric(float64(scans.Milliseconds())/float64(b.N), "ms/scan")
}

// scanOnce gives how long a scan took. The clock of the cache is given, so that nothing in it is young.
func scanOnce(b *testing.B, host, cacheDir string, now time.Time) time.Duration {
	b.Helper()
	reg := registry.New(registry.Config{CacheDir: cacheDir, Now: func() time.Time { return now }})
	defer reg.Close()
	began := time.Now()
	f, err := New(reg, Options{Host: host, Getenv: noEnv}).Scan(b.Context(), machine.Local())
	took := time.Since(began)
	if err != nil || len(f.Checks) != sixty {
		b.Fatalf("%d checks, %v", len(f.Checks), err)
	}
	return took
}

func bareLoop(b *testing.B, host string, refs []string) {
	b.Helper()
	e := &engine{brand: dockerBrand}
	wire, _, err := e.wire(host, noEnv)
	if err != nil {
		b.Fatal(err)
	}
	defer wire.CloseIdleConnections()
	for _, path := range []string{"/v1.41/containers/json?all=1", "/v1.41/images/json"} {
		get(b, &http.Client{Transport: wire}, http.MethodGet, "http://engine"+path)
	}
	registry := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, MaxConnsPerHost: 8}}
	defer registry.CloseIdleConnections()
	var wg sync.WaitGroup
	for _, ref := range refs {
		wg.Go(func() {
			at, path, _ := strings.Cut(ref, "/")
			get(b, registry, http.MethodHead, "http://"+at+"/v2/"+strings.Replace(path, ":", "/manifests/", 1))
		})
	}
	wg.Wait()
}

func get(b *testing.B, c *http.Client, method, url string) {
	req, err := http.NewRequestWithContext(b.Context(), method, url, nil)
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Accept", "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json")
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
