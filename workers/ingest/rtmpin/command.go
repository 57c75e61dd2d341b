package rtmpin

import (
	"errors"
	"fmt"
	"strings"
)

// command is what we need of a command message (RTMP 1.0, 7.2).
type command struct {
	Name     string
	Argument string // the first string behind the command object: the stream name
	App      string // connect only
	FlashVer string // connect only
}

// parseCommand checks a whole AMF0 command and takes out what is needed.
func parseCommand(body []byte) (command, error) {
	var c command
	var kinds [4]byte // of the first values
	named, argued, hasApp := false, false, false
	err := walkAMF(body, func(v amfValue) {
		if v.Depth == 0 && v.Index < len(kinds) {
			kinds[v.Index] = v.Kind + 1 // 0: absent
		}
		switch {
		case v.Depth == 0 && v.Index == 0 && v.Kind == amfString:
			c.Name, named = string(v.Text), true
		case v.Depth == 0 && v.Index == 3 && v.Kind == amfString:
			c.Argument, argued = string(v.Text), true
		case v.Depth == 1 && v.Index == 2 && v.Kind == amfString:
			switch string(v.Key) {
			case "app":
				c.App, hasApp = string(v.Text), true
			case "flashVer":
				c.FlashVer = string(v.Text)
			}
		}
	})
	switch {
	case err != nil:
		return c, fmt.Errorf("command: %w", err)
	case !named || kinds[1] != amfNumber+1:
		return c, errors.New("command without name or transaction id")
	case len(c.App) > maxNameBytes || len(c.Argument) > maxNameBytes || len(c.FlashVer) > maxNameBytes:
		return c, fmt.Errorf("name longer than %d bytes", maxNameBytes)
	case c.Name == "connect" && (kinds[2] != amfObject+1 || !hasApp):
		return c, errors.New("connect without an app")
	case (c.Name == "publish" || c.Name == "play") && (kinds[2] != amfNull+1 || !argued):
		return c, fmt.Errorf("%s without a stream name", c.Name)
	}
	return c, nil
}

// splitQuery cuts a name at its first question mark.
func splitQuery(name string) (bare, query string) {
	bare, query, _ = strings.Cut(name, "?")
	return bare, query
}

// findMode returns the value of mode= in a query; the name in any case, parts
// divided by & or further question marks. The first one that is not empty wins.
func findMode(query string) string {
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == '?' }) {
		name, value, _ := strings.Cut(part, "=")
		if strings.EqualFold(name, "mode") && value != "" {
			return value
		}
	}
	return ""
}

// publishRequest puts connect's app and publish's name together. The key's
// own query wins over the app's.
func publishRequest(app, name string) PublishRequest {
	app, appQuery := splitQuery(app)
	key, keyQuery := splitQuery(name)
	mode := findMode(keyQuery)
	if mode == "" {
		mode = strings.TrimRight(findMode(appQuery), "/")
	}
	return PublishRequest{App: strings.Trim(app, "/"), StreamKey: key, Mode: mode}
}
