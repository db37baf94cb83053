// How tools that know nothing of a kind judge its objects: kstatus, with which Flux, Helm and others wait, and a health
// script of Argo CD. Reads a JSON list of objects from stdin, and a script from the file that the argument names.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type health struct {
	Kstatus string `json:"kstatus"`
	Argo    string `json:"argo"`
	Message string `json:"message"`
}

func main() {
	if err := judge(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(file string) error {
	script, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	answers := []health{}
	for _, object := range objects {
		answer, err := healthOf(object, string(script))
		if err != nil {
			return err
		}
		answers = append(answers, answer)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func healthOf(object map[string]any, script string) (health, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return health{}, err
	}
	// Kubernetes' decoder reads whole numbers as int64, which kstatus expects of a generation.
	var seen unstructured.Unstructured
	if err := seen.UnmarshalJSON(text); err != nil {
		return health{}, err
	}
	result, err := status.Compute(&seen)
	if err != nil {
		return health{}, err
	}
	verdict, message, err := argo(text, script)
	return health{Kstatus: result.Status.String(), Argo: verdict, Message: message}, err
}

// argo runs a script as Argo CD does: with the libraries that it opens, and the object as the global `obj`.
func argo(object []byte, script string) (string, string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName:   lua.OpenPackage,
		lua.BaseLibName:   lua.OpenBase,
		lua.TabLibName:    lua.OpenTable,
		lua.StringLibName: lua.OpenString,
	} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	value, err := luajson.Decode(state, object)
	if err != nil {
		return "", "", err
	}
	state.SetGlobal("obj", value)
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the script returns no table")
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String(), nil
}
