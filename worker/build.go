//go:build !wasip1

package worker

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// build says, for a human, which program this is and what it was built from.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return filepath.Base(os.Args[0])
	}
	parts := []string{info.Path, info.Main.Version, info.GoVersion}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			parts = append(parts, s.Value)
		case s.Key == "vcs.modified" && s.Value == "true":
			parts = append(parts, "modified")
		}
	}
	return strings.Join(parts, " ")
}
