package main

import (
	"io"
	"log/slog"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	sloggokit "github.com/tjhop/slog-gokit"
)

// logFlags is what the command line says about the log.
type logFlags struct {
	level, format *string
}

func addLogFlags(app *kingpin.Application) logFlags {
	return logFlags{
		level: app.Flag("log.level", "Log only messages with this level or above: debug, info, warn, error.").
			Default("info").Enum("debug", "info", "warn", "error"),
		format: app.Flag("log.format", "How the log is written: logfmt, json.").
			Default("logfmt").Enum("logfmt", "json"),
	}
}

// logger returns the program's log: log/slog for those who write to it, with
// go-kit/log as the writer.
func (f logFlags) logger(to io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(*f.level)); err != nil {
		level = slog.LevelInfo // cannot be: the flag allows only levels
	}
	to = log.NewSyncWriter(to)
	writer := log.NewLogfmtLogger(to)
	if *f.format == "json" {
		writer = log.NewJSONLogger(to)
	}
	return slog.New(sloggokit.NewGoKitHandler(writer, level))
}
