// Verdict reads the JSON of `go test -json` from the file it is given and prints what a person wants to know: the output
// of what failed, every skipped test with its reason, and one closing line. It exits 1 when anything failed or nothing ran,
// and with -all when anything was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of test2json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

type key struct{ pkg, test string }

func main() {
	all := flag.Bool("all", false, "a skipped test is a failure")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: verdict [-all] FILE")
		os.Exit(2)
	}
	f, err := os.Open(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, "verdict:", err)
		os.Exit(2)
	}
	defer f.Close()
	if !judge(f, os.Stdout, *all) {
		os.Exit(1) //nolint:gocritic // the file is only read
	}
}

// judge prints the verdict and says whether all is well; with all, a skipped test is not.
func judge(r io.Reader, w io.Writer, all bool) bool {
	output := map[key][]string{}
	var passed, failed, skipped int
	broken := false
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(w, lines.Text()) // a compiler's words
			continue
		}
		k := key{e.Package, e.Test}
		switch e.Action {
		case "output", "build-output":
			output[k] = append(output[k], e.Output)
		case "pass":
			passed += count(e)
			tellPackage(w, e)
			delete(output, k)
		case "skip":
			skipped += count(e)
			if e.Test != "" {
				fmt.Fprintf(w, "skip %s %s\n%s", e.Package, e.Test, strings.Join(output[k], ""))
			}
		case "fail":
			failed += count(e)
			broken = true
			fmt.Fprintf(w, "FAIL %s %s\n%s", e.Package, e.Test, strings.Join(output[k], ""))
		case "build-fail":
			broken = true
		}
	}
	if lines.Err() != nil {
		fmt.Fprintln(w, "verdict:", lines.Err())
		broken = true
	}
	if broken && failed == 0 {
		failed = 1 // a package that did not build, or ended outside a test
	}
	for k, lines := range output {
		if broken && k.test == "" {
			fmt.Fprint(w, strings.Join(lines, ""))
		}
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return !broken && passed > 0 && (skipped == 0 || !all)
}

func count(e event) int {
	if e.Test == "" {
		return 0
	}
	return 1
}

func tellPackage(w io.Writer, e event) {
	if e.Test == "" {
		fmt.Fprintf(w, "ok   %s %.1fs\n", e.Package, e.Elapsed)
	}
}
