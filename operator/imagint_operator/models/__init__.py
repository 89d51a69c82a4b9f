"""`ModelDeployment` → a Serve application that is Ready only when it has made a picture."""
