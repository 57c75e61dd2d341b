package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"

	"github.com/roomcast/roomcast/client"
)

type dlqCmd struct {
	List   dlqListCmd   `cmd:"" help:"List state events that could not be applied."`
	Replay dlqReplayCmd `cmd:"" help:"Send dead letters again; safe to repeat."`
	Drop   dlqDropCmd   `cmd:"" help:"Forget dead letters."`
}

// deadLetters is a client of /v2/admin/dead-letters.
type deadLetters struct{ *client.Client }

const deadLettersPath = "/v2/admin/dead-letters"

type deadLetter struct {
	ID          string  `json:"id"`
	StreamKeyID string  `json:"streamKeyId"`
	Attempts    int     `json:"attempts"`
	Phase       *string `json:"phase"`
	SentAt      *string `json:"sentAt"`
}

func (r running) deadLetters() (deadLetters, error) {
	api, err := r.operator()
	return deadLetters{api}, err
}

func (d deadLetters) list(limit int) (raw json.RawMessage, list []deadLetter, err error) {
	var answer struct{ Items json.RawMessage }
	err = d.Do(context.Background(), http.MethodGet, fmt.Sprintf("%s?limit=%d", deadLettersPath, limit), nil, &answer)
	if err == nil {
		err = json.Unmarshal(answer.Items, &list)
	}
	return answer.Items, list, err
}

// each does one thing with every named letter, or with all that lie there. A
// letter that is no longer there is said and is no failure: somebody else was
// faster, or this is the second time.
func (d deadLetters) each(ids []string, all bool, done string, do func(id string) error) error {
	if all == (len(ids) > 0) {
		return errors.New("name dead letters, or --all")
	}
	seen := map[string]bool{}
	for {
		if all {
			_, list, err := d.list(maxListed)
			if err != nil {
				return err
			}
			for _, l := range list {
				if !seen[l.ID] {
					ids = append(ids, l.ID)
				}
			}
		}
		if len(ids) == 0 {
			return nil
		}
		for _, id := range ids {
			seen[id] = true
			said := done
			err := do(id)
			var p *client.Error
			if errors.As(err, &p) && p.Status == http.StatusNotFound {
				said, err = "is not there", nil
			}
			if err == nil {
				_, err = fmt.Println(id, said)
			}
			if err != nil {
				return err
			}
		}
		if ids = nil; !all {
			return nil
		}
	}
}

// maxListed is what one call lists at most.
const maxListed = 100

type dlqListCmd struct {
	running
	Limit int  `default:"100" help:"Most letters to list, up to 100."`
	JSON  bool `name:"json" help:"Print JSON."`
}

// Run lists them.
func (c *dlqListCmd) Run() error {
	d, err := c.deadLetters()
	if err != nil {
		return err
	}
	raw, list, err := d.list(c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err = fmt.Println(string(raw))
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range list {
		phase, at := "unreadable", ""
		if l.Phase != nil {
			phase = *l.Phase
		}
		if l.SentAt != nil {
			at = *l.SentAt
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%d tries\t%s\n", l.ID, l.StreamKeyID, phase, l.Attempts, at); err != nil {
			return err
		}
	}
	return w.Flush()
}

type dlqReplayCmd struct {
	running
	IDs []string `arg:"" optional:"" name:"id" help:"Dead letters to send again."`
	All bool     `help:"All of them, oldest first."`
}

// Run sends them again.
func (c *dlqReplayCmd) Run() error {
	d, err := c.deadLetters()
	if err != nil {
		return err
	}
	return d.each(c.IDs, c.All, "sent again", func(id string) error {
		return d.Do(context.Background(), http.MethodPost, deadLettersPath+"/"+url.PathEscape(id)+"/replay", nil, nil)
	})
}

type dlqDropCmd struct {
	running
	IDs []string `arg:"" optional:"" name:"id" help:"Dead letters to forget."`
	All bool     `help:"All of them."`
}

// Run forgets them.
func (c *dlqDropCmd) Run() error {
	d, err := c.deadLetters()
	if err != nil {
		return err
	}
	return d.each(c.IDs, c.All, "dropped", func(id string) error {
		return d.Do(context.Background(), http.MethodDelete, deadLettersPath+"/"+url.PathEscape(id), nil, nil)
	})
}
