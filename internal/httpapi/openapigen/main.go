// Command openapigen prints the OpenAPI document of the HTTP API:
//
//	go run ./internal/httpapi/openapigen > docs/openapi.yaml
package main

import (
	"fmt"
	"os"

	"github.com/roomcast/roomcast/internal/httpapi"
)

func main() {
	doc, err := httpapi.OpenAPI()
	if err == nil {
		_, err = os.Stdout.Write(doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapigen:", err)
		os.Exit(1)
	}
}
