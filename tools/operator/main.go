// Operator reads objects in YAML from standard input and decodes those of the
// Prometheus operator strictly, into the operator's own types: a field that it
// does not know is an error. Others are left alone. The last line is how many
// passed and failed.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	passed, failed, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(2)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) (passed, failed int, err error) {
	scheme := runtime.NewScheme()
	if err := monitoringv1.AddToScheme(scheme); err != nil {
		return 0, 0, err
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	for documents := yaml.NewYAMLReader(bufio.NewReader(in)); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return passed, failed, nil
		}
		if err != nil {
			return passed, failed, err
		}
		_, kind, err := decoder.Decode(document, nil, nil)
		switch {
		case runtime.IsNotRegisteredError(err), runtime.IsMissingKind(err):
		case err != nil:
			fmt.Fprintf(out, "FAIL  %v: %v\n", kind, err)
			failed++
		default:
			fmt.Fprintf(out, "ok    %s\n", kind.Kind)
			passed++
		}
	}
}
