"""The custom resources of `imagint.ai/v1alpha1`, as frozen types. The manifests in `crds/` are generated from them."""
