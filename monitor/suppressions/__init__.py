"""Recipients never to be mailed again."""
