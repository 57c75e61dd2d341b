// Package sam holds the templates against SAM's own programs, which `make deps`
// installs.
package sam

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	it "github.com/roomcast/roomcast/internal/infratest"
)

// tool is one of .deps/sam.
func tool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(it.Root(), ".deps", "sam", "bin", name), args...)
	cmd.Dir = it.Root()
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1", "SAM_CLI_TELEMETRY=0")
	return cmd
}

// transform is what CloudFormation does with `Transform: AWS::Serverless…`, by
// SAM's own translator.
const transform = `
import json, sys
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

file, parameters = sys.argv[1], json.loads(sys.argv[2])
template = yaml_parse(open(file).read())
for r in template["Resources"].values():
    if r["Type"] == "AWS::Serverless::Function":
        r["Properties"]["CodeUri"] = "s3://bucket/code"
policies = {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}
print(json.dumps(Translator(policies, Parser()).translate(template, parameters)))
`

func TestOneParameterTracesEveryFunctionAndWithoutItNoRoleMayWriteTraces(t *testing.T) {
	for mode, want := range map[string]bool{"": false, "Disabled": false, "Active": true} {
		parameters := map[string]string{}
		if mode != "" {
			parameters["Tracing"] = mode
		}
		text, err := json.Marshal(parameters)
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd := tool(t, "python", "-c", transform, "infra/functions.yaml", string(text))
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
		var made it.Template
		if err := json.Unmarshal(out, &made.Root); err != nil {
			t.Fatal(err)
		}
		functions := made.Of("AWS::Lambda::Function")
		if len(functions) != 6 {
			t.Fatalf("%d functions", len(functions))
		}
		for id, p := range functions {
			traced := it.Map(p["TracingConfig"])["Mode"] != nil
			role, err := json.Marshal(made.Of("AWS::IAM::Role")[id+"Role"])
			if err != nil {
				t.Fatal(err)
			}
			allowed := strings.Contains(strings.ToLower(string(role)), "xray")
			if traced != want || allowed != want {
				t.Errorf("Tracing=%q: %s is traced %t, and may write traces %t", mode, id, traced, allowed)
			}
		}
	}
}

func TestSAMBuildsEveryFunction(t *testing.T) {
	dir := t.TempDir()
	cmd := tool(t, "sam", "build", "--build-dir", dir)
	cmd.Env = append(cmd.Env, "GOFLAGS=-tags=lambda.norpc -buildvcs=false '-ldflags=-s -w'")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	all, err := it.Load()
	if err != nil {
		t.Fatal(err)
	}
	for id := range all["functions"].Of("AWS::Serverless::Function") {
		b, err := os.ReadFile(filepath.Join(dir, "Functions", id, "bootstrap"))
		if err != nil {
			t.Error(err)
			continue
		}
		// ELF, 64 bit, AArch64 (183).
		if !bytes.HasPrefix(b, []byte("\x7fELF\x02")) || b[18] != 183 {
			t.Errorf("%s is no arm64 program: % x", id, b[:20])
		}
	}
	for _, name := range []string{"template.yaml", "Functions/template.yaml"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}
