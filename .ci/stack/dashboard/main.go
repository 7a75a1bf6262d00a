// Checks Grafana dashboards against Grafana's own schema, as its Foundation SDK publishes it: every
// field and option of dashboard, panel and query must be one that Grafana knows and of its type, and
// none that it needs may be missing. Unknown names right under fieldConfig.defaults pass unseen.
//
//	dashboard FILE...
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	bad := len(os.Args) < 2
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			bad = true
		}
	}
	if bad {
		os.Exit(1)
	}
}

func check(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var read dashboard.Dashboard
	if err := real(read.UnmarshalJSONStrict(raw)); err != nil {
		return err
	}
	return real(read.Validate())
}

// The SDK also returns lists of errors that are empty.
func real(err error) error {
	var all cog.BuildErrors
	if errors.As(err, &all) && len(all) == 0 {
		return nil
	}
	return err
}
