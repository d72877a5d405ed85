"""What several tests share: fixtures, rigs, fake servers, documents and experiments to try."""
